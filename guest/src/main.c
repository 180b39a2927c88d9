/*
 * The program behind the names of the guest's C tools: the name it is called by chooses.
 */
#include <stdio.h>
#include <string.h>

#include "tools.h"

int main(int count, char **arguments)
{
	const char *slash = strrchr(arguments[0], '/');
	const char *name = slash ? slash + 1 : arguments[0];
	if (!strcmp(name, "json-lines"))
		return json_lines();
	if (!strcmp(name, "luc-load"))
		return luc_load(count, arguments);
	if (!strcmp(name, "load-modules"))
		return load_modules(count - 1, arguments + 1);
	if (!strcmp(name, "find-label"))
		return find_label(count - 1, arguments + 1);
	fprintf(stderr, "%s: known names: json-lines luc-load load-modules find-label\n", name);
	return 2;
}

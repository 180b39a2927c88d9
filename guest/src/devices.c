/*
 * load-modules and find-label: drivers and disks, each in one process.
 *
 * What it is: what modprobe and findfs would do in dozens of processes. A process is dear in an
 * emulated guest (20 ms and more), and most of a boot was spent starting them.
 *   load-modules LIST...    loads the modules named in the lists, one path a line, in that order
 *   find-label LABEL...     prints `type device label` of the first label that some disk has
 * What it is not: a resolver of dependencies; `guest/make-image` writes the lists in order.
 * Called by rootfs/lib/luc/devices.sh through main.c.
 * Source: ISO 9660 (ECMA-119 8.4), FAT (Microsoft FAT specification), ext4 (super block).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tools.h"

enum { LABEL_BYTES = 33, NAME_BYTES = 64, DISKS_MAX = 64 };

struct disk {
	char device[NAME_BYTES + 8];
	const char *type;
	char label[LABEL_BYTES];
};

/* Loads one module; a device that is not there, or a module that is, is no error. */
static int load(const char *name)
{
	int file = open(name, O_RDONLY | O_CLOEXEC);
	if (file < 0 || (syscall(SYS_finit_module, file, "", 0) && errno != EEXIST
			 && errno != ENODEV)) {
		fprintf(stderr, "load-modules: %s: %s\n", name, strerror(errno));
		if (file >= 0)
			close(file);
		return 1;
	}
	close(file);
	return 0;
}

int load_modules(int count, char **lists)
{
	int failed = 0;
	for (int i = 0; i < count; i++) {
		char line[256];
		FILE *list = fopen(lists[i], "r");
		if (!list) {
			perror(lists[i]);
			return 1;
		}
		while (fgets(line, sizeof line, list)) {
			line[strcspn(line, "\n")] = 0;
			failed |= load(line);
		}
		fclose(list);
	}
	return failed;
}

/* Copies a label of `size` bytes, without the blanks and zeros it is padded with. */
static void take_label(char *label, const unsigned char *raw, size_t size)
{
	memcpy(label, raw, size);
	label[size] = 0;
	for (size_t end = strlen(label); end && label[end - 1] == ' '; end--)
		label[end - 1] = 0;
}

/* Reads type and label of the file system on an open disk; 0 if it is none we know. */
static int identify(int file, struct disk *disk)
{
	unsigned char block[2048];
	if (pread(file, block, sizeof block, 32768) == sizeof block
	    && !memcmp(block + 1, "CD001", 5)) {
		disk->type = "iso9660";
		take_label(disk->label, block + 40, 32);
		return 1;
	}
	if (pread(file, block, sizeof block, 0) != sizeof block)
		return 0;
	if (block[1024 + 56] == 0x53 && block[1024 + 57] == 0xef) {
		disk->type = "ext4";
		take_label(disk->label, block + 1024 + 120, 16);
		return 1;
	}
	int wide = !memcmp(block + 82, "FAT32", 5);
	if (block[510] == 0x55 && block[511] == 0xaa && (wide || !memcmp(block + 54, "FAT", 3))) {
		disk->type = "vfat";
		take_label(disk->label, block + (wide ? 71 : 43), 11);
		return 1;
	}
	return 0;
}

/* Looks at every disk and partition the kernel knows. */
static int all_disks(struct disk *disks)
{
	char line[256], name[NAME_BYTES];
	int found = 0;
	FILE *list = fopen("/proc/partitions", "r");
	while (list && found < DISKS_MAX && fgets(line, sizeof line, list)) {
		struct disk *disk = &disks[found];
		if (sscanf(line, " %*u %*u %*u %63s", name) != 1)
			continue;
		snprintf(disk->device, sizeof disk->device, "/dev/%s", name);
		int file = open(disk->device, O_RDONLY | O_CLOEXEC);
		if (file < 0)
			continue;
		found += identify(file, disk);
		close(file);
	}
	if (list)
		fclose(list);
	return found;
}

int find_label(int count, char **labels)
{
	struct disk disks[DISKS_MAX];
	int found = all_disks(disks);
	for (int wanted = 0; wanted < count; wanted++)
		for (int i = 0; i < found; i++)
			if (!strcasecmp(disks[i].label, labels[wanted])) {
				printf("%s %s %s\n", disks[i].type, disks[i].device,
				       labels[wanted]);
				return 0;
			}
	return 1;
}

/*
 * The tools of the guest that are C, joined in one static program to keep the image small.
 * Called by main.c, which chooses by the name it was called by.
 */
#ifndef LUC_TOOLS_H
#define LUC_TOOLS_H

/* JSON on standard input to `path=value` lines; the exit status. */
int json_lines(void);

/* The load generator: luc-load SETTINGS STATUS; returns only for wrong arguments. */
int luc_load(int count, char **arguments);

/* Loads the modules named in the lists; the exit status. */
int load_modules(int count, char **lists);

/* Prints the first of the labels that some disk has; the exit status. */
int find_label(int count, char **labels);

#endif

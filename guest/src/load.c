/*
 * luc-load: puts a chosen load on the guest and measures what it put.
 *
 * What it is: the memtouch and cpulimit of the DISCOVERY experiments in one program. It reads
 * `cpu mem_mib dirty_mib_s` from the settings file whenever that file changes, and writes what
 * it measured over the last second to the status file, as JSON.
 *   cpu          percent of one vCPU; 150 is one and a half vCPUs
 *   mem_mib      memory held and touched; never more than is available less a reserve
 *   dirty_mib_s  how many MiB of it are written each second, page after page
 * What it is not: a benchmark. Work is counted by CPU time and pages, not by results.
 * Called by busybox init through main.c: luc-load SETTINGS STATUS.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tools.h"

enum { TICK_MS = 100, IDLE_TICK_MS = 500, PAGE = 4096, MIB = 1 << 20, RESERVE_MIB = 24, VCPUS_MAX = 64 };

static atomic_long cpu_percent;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long mem_mib, dirty_mib_s;
static unsigned char *memory;
static size_t held, cursor;

static double seconds(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void sleep_until(double when)
{
	double left = when - seconds(CLOCK_MONOTONIC);
	if (left > 0)
		usleep((useconds_t)(left * 1e6));
}

/* Percent that vCPU number `index` has to spend; waits until it is above zero. */
static long share_of(long index)
{
	long share = atomic_load(&cpu_percent) - index * 100;
	if (share > 0)
		return share > 100 ? 100 : share;
	pthread_mutex_lock(&lock);
	while (atomic_load(&cpu_percent) - index * 100 <= 0)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	return 0;
}

/* One vCPU's share of the CPU load: in each tick, spend the share as CPU time, sleep the rest. */
static void *burn(void *argument)
{
	long index = (long)argument;
	double start = seconds(CLOCK_MONOTONIC);
	for (;;) {
		long share = share_of(index);
		double end = start + TICK_MS / 1000.0;
		double spend = seconds(CLOCK_THREAD_CPUTIME_ID) + (end - start) * (double)share / 100;
		volatile unsigned sum = 0;
		while (share > 0 && seconds(CLOCK_THREAD_CPUTIME_ID) < spend
		       && seconds(CLOCK_MONOTONIC) < end)
			for (int i = 0; i < 2000; i++)
				sum += (unsigned)i;
		sleep_until(end);
		start = end;
		if (seconds(CLOCK_MONOTONIC) > end + 1)
			start = seconds(CLOCK_MONOTONIC); /* the guest was paused; do not catch up */
	}
	return NULL;
}

static long available_mib(void)
{
	char line[128];
	long kib = 0;
	FILE *file = fopen("/proc/meminfo", "r");
	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "MemAvailable: %ld", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return kib / 1024;
}

/* Holds `wanted` MiB or as much as there is, and touches what is new. */
static void resize(long wanted)
{
	long most = available_mib() + (long)(held / MIB) - RESERVE_MIB;
	size_t size = (size_t)(wanted < most ? wanted : most < 0 ? 0 : most) * MIB;
	if (size == held)
		return;
	void *moved = MAP_FAILED;
	if (size && held)
		moved = mremap(memory, held, size, MREMAP_MAYMOVE);
	else if (size)
		moved = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	else
		munmap(memory, held);
	if (size && moved == MAP_FAILED)
		return;
	memory = size ? moved : NULL;
	for (size_t at = held; at < size; at += PAGE)
		memory[at] = 1;
	held = size;
	cursor = 0;
}

/* Writes up to `pages` pages, going round; stops at `end`. Returns how many. */
static long dirty(long pages, double end)
{
	long done = 0;
	while (held && done < pages && ((done & 255) || seconds(CLOCK_MONOTONIC) < end)) {
		memory[cursor]++;
		cursor += PAGE;
		if (cursor >= held)
			cursor = 0;
		done++;
	}
	return done;
}

static void read_settings(const char *name)
{
	static struct timespec seen;
	struct stat status;
	long cpu, mem, rate;
	FILE *file;
	if (stat(name, &status) || !memcmp(&seen, &status.st_mtim, sizeof seen))
		return;
	file = fopen(name, "r");
	if (!file)
		return;
	if (fscanf(file, "%ld %ld %ld", &cpu, &mem, &rate) == 3) {
		pthread_mutex_lock(&lock);
		atomic_store(&cpu_percent, cpu);
		pthread_cond_broadcast(&changed);
		pthread_mutex_unlock(&lock);
		mem_mib = mem;
		dirty_mib_s = rate;
		resize(mem_mib);
	}
	fclose(file);
	seen = status.st_mtim;
}

static double cpu_used(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
	       + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void write_status(const char *name, double cpu, double dirtied)
{
	char fresh[256];
	snprintf(fresh, sizeof fresh, "%s.new", name);
	FILE *file = fopen(fresh, "w");
	if (!file)
		return;
	fprintf(file, "{\"cpu\": %.1f, \"mem_mib\": %zu, \"dirty_mib_s\": %.1f}\n", cpu,
		held / MIB, dirtied);
	fclose(file);
	rename(fresh, name);
}

int luc_load(int count, char **arguments)
{
	if (count != 3) {
		fprintf(stderr, "usage: luc-load SETTINGS STATUS\n");
		return 2;
	}
	long vcpus = sysconf(_SC_NPROCESSORS_ONLN);
	for (long i = 0; i < vcpus && i < VCPUS_MAX; i++) {
		pthread_t thread;
		if (pthread_create(&thread, NULL, burn, (void *)i))
			return 1;
	}
	double start = seconds(CLOCK_MONOTONIC), report = start, used = cpu_used();
	long pages = 0;
	double owed = 0;
	for (;;) {
		read_settings(arguments[1]);
		double tick = (dirty_mib_s ? TICK_MS : IDLE_TICK_MS) / 1000.0, end = start + tick;
		owed += (double)dirty_mib_s * (MIB / PAGE) * tick;
		long now = dirty((long)owed, end);
		owed = owed - (double)now > 1 ? 0 : owed - (double)now;
		pages += now;
		if (end - report >= 1) {
			double span = seconds(CLOCK_MONOTONIC) - report, spent = cpu_used();
			write_status(arguments[2], (spent - used) / span * 100,
				     (double)pages * PAGE / MIB / span);
			report += span;
			used = spent;
			pages = 0;
		}
		sleep_until(end);
		start = end;
		if (seconds(CLOCK_MONOTONIC) > end + 1)
			start = seconds(CLOCK_MONOTONIC); /* the guest was paused; do not catch up */
	}
}

// A program that says in what order its parts run. The test links it with glibc_amd64.c.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char said[64];

__attribute__((constructor)) static void construct(int argc, char **argv, char **envp)
{
	snprintf(said + strlen(said), sizeof said - strlen(said), "constructor %d %s %s, ", argc, argv[1], envp[0]);
}

__attribute__((destructor)) static void destruct(void) { printf(", destructor"); }
static void leave(void) { printf(", atexit"); }

int main(int argc, char **argv)
{
	atexit(leave);
	printf("%smain %d %s", said, argc, argv[1]);
	return 7;
}

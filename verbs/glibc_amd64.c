// Linked on a machine with a new glibc, a program starts on none that is older than 2.34: threads and dlopen moved into libc.so.6 then, and
// got that version's names. The functions behind the old names are the same. So the references to those that this package and Go's own
// runtime/cgo make (--wrap in glibc_amd64.go) come here and go on to the old names, which every glibc for this processor has.
//
// A new function that a program with this package needs, or a newer glibc to link against, may want a line here and one there:
// TestBinaryStartsOnOldSystems in e2e says which.

#define OLD(name) \
	__asm__(".symver old_" #name ", " #name "@GLIBC_2.2.5\n" \
		".text\n" \
		".globl __wrap_" #name "\n" \
		".hidden __wrap_" #name "\n" \
		".type __wrap_" #name ", @function\n" \
		"__wrap_" #name ":\n" \
		"\tjmp old_" #name "@PLT\n" \
		".size __wrap_" #name ", . - __wrap_" #name "\n");

OLD(dlerror)
OLD(dlopen)
OLD(dlsym)
OLD(pthread_attr_getstack)
OLD(pthread_attr_getstacksize)
OLD(pthread_create)
OLD(pthread_getattr_np)
OLD(pthread_key_create)
OLD(pthread_setspecific)
OLD(pthread_sigmask)

typedef int main_function(int, char **, char **);

__asm__(".symver old_start_main, __libc_start_main@GLIBC_2.2.5");
int old_start_main(main_function *, int, char **, void (*init)(int, char **, char **), void (*fini)(void), void (*rtld_fini)(void), void *stack);

extern void _init(void);
extern void (*const __init_array_start[])(int, char **, char **) __attribute__((visibility("hidden")));
extern void (*const __init_array_end[])(int, char **, char **) __attribute__((visibility("hidden")));

static void construct(int argc, char **argv, char **envp)
{
	_init();
	for (void (*const *f)(int, char **, char **) = __init_array_start; f < __init_array_end; f++)
		(*f)(argc, argv, envp);
}

// __libc_start_main is called by _start. A glibc before 2.34 runs a program's constructors by the function that it is given; a _start of 2.34
// or newer has none to give, since such a glibc finds them itself. Given one, it runs that and looks for no others (csu/libc-start.c).
// Destructors are the dynamic linker's in both. Not wrapped, but found before glibc's: Go's linker tries flags on programs that it links
// without this file.
__attribute__((visibility("hidden"))) int __libc_start_main(main_function *f, int argc, char **argv, void (*init)(int, char **, char **),
							    void (*fini)(void), void (*rtld_fini)(void), void *stack)
{
	return old_start_main(f, argc, argv, init ? init : construct, fini, rtld_fini, stack);
}

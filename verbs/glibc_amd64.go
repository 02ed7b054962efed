package verbs

// What glibc_amd64.c says. The two libraries are where the old names are before 2.34.

// #cgo LDFLAGS: -Wl,--no-as-needed -l:libpthread.so.0 -l:libdl.so.2 -Wl,--as-needed
// #cgo LDFLAGS: -Wl,--wrap=dlerror -Wl,--wrap=dlopen -Wl,--wrap=dlsym
// #cgo LDFLAGS: -Wl,--wrap=pthread_attr_getstack -Wl,--wrap=pthread_attr_getstacksize
// #cgo LDFLAGS: -Wl,--wrap=pthread_create -Wl,--wrap=pthread_getattr_np
// #cgo LDFLAGS: -Wl,--wrap=pthread_key_create -Wl,--wrap=pthread_setspecific -Wl,--wrap=pthread_sigmask
import "C"

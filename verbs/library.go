package verbs

// #cgo CFLAGS: -O2 -Wall -Wextra
// #cgo LDFLAGS: -ldl
// #include "shim.h"
import "C"

import (
	"fmt"
	"sync"
)

const (
	libibverbs = "libibverbs.so.1"
	librdmacm  = "librdmacm.so.1"
)

// LibraryError says that libibverbs or librdmacm cannot be used on this machine.
type LibraryError struct{ Detail string }

func (e *LibraryError) Error() string { return fmt.Sprintf("%s (%s)", e.Detail, InstallLibraries) }

// InstallLibraries says how they, and what they need for each kind of device, get onto a machine.
const InstallLibraries = "Debian: apt-get install ibverbs-providers librdmacm1; Red Hat: dnf install libibverbs librdmacm"

// Load opens the libraries, once; later calls return the same. A *LibraryError says what is missing. Everything else that needs the libraries
// calls it by itself.
var Load = sync.OnceValue(func() error { return load(libibverbs, librdmacm) })

func load(ibverbs, rdmacm string) error {
	if failed := C.weft_load(&cString(ibverbs)[0], &cString(rdmacm)[0]); failed != nil {
		return &LibraryError{C.GoString(failed)}
	}
	return nil
}

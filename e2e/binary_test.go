//go:build e2e

package e2e

import (
	"debug/elf"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// oldestGlibc is that of Red Hat 8: 2.28. Ubuntu 20.04 and Debian 10 have it, too, or a newer one.
const oldestGlibc = 28

// The program starts on old systems, and where there is no libibverbs: it asks of the machine only what every C library since has.
func TestBinaryStartsOnOldSystems(t *testing.T) {
	file, err := elf.Open(filepath.Join(root, "build/daemon/weft"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	libraries, err := file.ImportedLibraries()
	if err != nil || !slices.Contains(libraries, "libc.so.6") {
		t.Errorf("it needs %q, %v: was it built without cgo, and so without RDMA?", libraries, err)
	}
	for _, name := range libraries {
		if !slices.Contains([]string{"libc.so.6", "libdl.so.2", "libpthread.so.0"}, name) {
			t.Errorf("it needs %s, which is not on every system", name)
		}
	}
	symbols, err := file.ImportedSymbols()
	if err != nil || len(symbols) == 0 {
		t.Fatalf("it has %d symbols, %v", len(symbols), err)
	}
	newest := 0
	for _, s := range symbols {
		minor := glibcMinor(t, s)
		newest = max(newest, minor)
		if minor > oldestGlibc {
			t.Errorf("it needs %s of %s: it may need a line in verbs/glibc_amd64.c", s.Name, s.Version)
		}
	}
	t.Logf("it starts with glibc 2.%d", newest)
}

// glibcMinor is the 28 of GLIBC_2.28; 0 where a symbol has no version.
func glibcMinor(t *testing.T, s elf.ImportedSymbol) int {
	t.Helper()
	if s.Version == "" {
		return 0
	}
	version, found := strings.CutPrefix(s.Version, "GLIBC_2.")
	minor, _, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(minor)
	if !found || err != nil {
		t.Fatalf("%s has the version %q", s.Name, s.Version)
	}
	return n
}

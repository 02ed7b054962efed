package daemon

import (
	"fmt"
	"os"
	"testing"

	"weft/internal/leakcheck"
)

func TestMain(m *testing.M) {
	if socket := os.Getenv(apartSocket); socket != "" {
		if err := beApart(socket, os.Stdin); err != nil {
			fmt.Fprintln(os.Stderr, "the executor apart:", err)
			os.Exit(1)
		}
		return
	}
	leakcheck.Main(cleaner{m})
}

// cleaner removes what the tests share, before leaks are looked for.
type cleaner struct{ tests *testing.M }

func (c cleaner) Run() int {
	defer func() {
		if programDir != "" {
			_ = os.RemoveAll(programDir)
		}
	}()
	return c.tests.Run()
}

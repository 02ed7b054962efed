package daemon

import (
	"os"
	"testing"

	"weft/internal/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Main(cleaner{m}) }

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

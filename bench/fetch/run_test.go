package fetch

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestWhatCannotBeMeasuredIsSaidBeforeAnythingStarts(t *testing.T) {
	good := Config{Rounds: 1, Row: time.Second, BlockBytes: []int{1}, Root: t.TempDir(), Out: t.TempDir()}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	bad := Config{Row: time.Microsecond, BlockBytes: []int{10, 0}}
	for _, want := range []string{"at least one round", "a row is measured", "a block size"} {
		if _, err := Run(t.Context(), bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not tell of %q", err, want)
		}
	}
	if _, err := Run(t.Context(), good); err == nil || !strings.Contains(err.Error(), "no source tree of weft") {
		t.Errorf("outside of a source tree: %v", err)
	}
	if left, err := os.ReadDir(good.Out); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

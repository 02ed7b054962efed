package fetch

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWaitFor(t *testing.T) {
	there := filepath.Join(t.TempDir(), "there")
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	absent := there + "-not"
	cause := errors.New("the job failed")
	ended := make(chan error, 1)
	if err := waitFor(t.Context(), there, ended, time.Nanosecond); err != nil {
		t.Errorf("a file that is there: %v", err)
	}
	if err := waitFor(t.Context(), absent, ended, time.Millisecond); !errors.Is(err, errLate) {
		t.Errorf("a file that does not come: %v", err)
	}
	ended <- cause
	if err := waitFor(t.Context(), absent, ended, 0); !errors.Is(err, cause) {
		t.Errorf("a job that ends: %v", err)
	}
	ended <- nil
	if err := waitFor(t.Context(), absent, ended, 0); err == nil || strings.Contains(err.Error(), "nil") {
		t.Errorf("a job that ends without an error: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if err := waitFor(ctx, absent, ended, 0); !errors.Is(err, cause) {
		t.Errorf("cancelled: %v", err)
	}
}

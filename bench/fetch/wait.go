package fetch

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// waitFor waits until the file is there; ended is closed when what would write it has ended.
func waitFor(ctx context.Context, path string, ended <-chan error) error {
	for {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case err := <-ended:
			return fmt.Errorf("the benchmark's Spark job ended before %s was there: %w", filepath.Base(path), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

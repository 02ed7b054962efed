package fetch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// errLate is the error of a file that is not there in time.
var errLate = errors.New("it was not there in time")

// waitFor waits until the file is there, for limit at most (0: for ever); ended is told when what would write it has ended.
func waitFor(ctx context.Context, path string, ended <-chan error, limit time.Duration) error {
	var late <-chan time.Time
	if limit > 0 {
		late = time.After(limit)
	}
	for {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case err := <-ended:
			return errors.Join(fmt.Errorf("the benchmark's Spark job ended before %s was there", filepath.Base(path)), err)
		case <-late:
			return errLate
		case <-time.After(50 * time.Millisecond):
		}
	}
}

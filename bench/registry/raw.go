package registry

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// filesAlone is the limit of a cold map output: the system calls that nothing can do without, and nothing else. It opens both files of each of so many
// map outputs, reads the whole index and one partition, and closes them; it gives the time for one.
func (s *resolver) filesAlone(outputs int) (time.Duration, error) {
	index, partition := make([]byte, 8*(s.Reducers+1)), make([]byte, partitionBytes)
	start := time.Now()
	for range outputs {
		s.next = (s.next + 1) % s.Outputs
		o := s.mapOutput(s.next)
		for _, file := range []struct {
			path string
			into []byte
		}{{o.Data, partition}, {o.Index, index}} {
			if err := readFile(file.path, file.into); err != nil {
				return 0, fmt.Errorf("%s: %w", file.path, err)
			}
		}
	}
	return time.Since(start) / time.Duration(outputs), nil
}

// readFile reads as much of the file as into holds.
func readFile(path string, into []byte) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	n, err := unix.Pread(fd, into, 0)
	if err == nil && n < len(into) {
		err = fmt.Errorf("%d bytes, not %d", n, len(into))
	}
	if closeErr := unix.Close(fd); err == nil {
		err = closeErr
	}
	return err
}

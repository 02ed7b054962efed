package raw

import (
	"time"

	"golang.org/x/sys/unix"
)

// CPU is the CPU time, user and system, that this process has used so far.
func CPU() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(err) // getrusage(2) fails only for bad arguments
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

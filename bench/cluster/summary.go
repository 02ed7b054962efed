package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Summary is what the JVMs of an application that weft has a part in say at their ends, added up.
type Summary struct {
	JVMs                         int   // that told
	WeftBytes, NettyBytes        int64 // of the blocks that came by either
	RDMABytes                    int64 // of weft's, those that came by RDMA
	Fallbacks                    int64 // blocks that weft should have brought
	DriverLookups, CachedLookups int64 // of BigDL's parameter blocks
	ParameterMicros              int64 // that their fetches took
}

// line is what the shim logs last. One that is still written has no end.
var line = regexp.MustCompile(`weft: summary executor=\S+ (.*)\n`)

// add adds what a log tells.
func (s *Summary) add(log []byte) error {
	for _, m := range line.FindAllSubmatch(log, -1) {
		if err := s.Add(string(m[1])); err != nil {
			return err
		}
	}
	return nil
}

// Add adds what one JVM says: key=value, with spaces between.
func (s *Summary) Add(fields string) error {
	s.JVMs++
	for _, field := range strings.Fields(fields) {
		if err := s.addField(field); err != nil {
			return fmt.Errorf("weft's figures of a JVM, %q: %w", fields, err)
		}
	}
	return nil
}

func (s *Summary) addField(field string) error {
	key, value, _ := strings.Cut(field, "=")
	if key == "fallbacks" { // {reason=blocks,...}
		for _, pair := range strings.FieldsFunc(value, func(c rune) bool { return strings.ContainsRune("{},", c) }) {
			_, blocks, _ := strings.Cut(pair, "=")
			n, err := strconv.ParseInt(blocks, 10, 64)
			if err != nil {
				return err
			}
			s.Fallbacks += n
		}
		return nil
	}
	sum := map[string]*int64{
		"weft_bytes": &s.WeftBytes, "netty_bytes": &s.NettyBytes, "rdma_bytes": &s.RDMABytes,
		"parameter_lookups_driver": &s.DriverLookups, "parameter_lookups_cached": &s.CachedLookups, "parameter_fetch_us": &s.ParameterMicros,
	}[key]
	if sum == nil {
		return nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	*sum += n
	return err
}

// Summaries waits up to a minute for what the driver and so many executors of the application say, as executors end a moment after the driver.
func (c Cluster) Summaries(ctx context.Context, app, driverLog string, executors int) (Summary, error) {
	for deadline := time.Now().Add(time.Minute); ; {
		s, err := c.summaries(app, driverLog)
		if err != nil || s.JVMs == executors+1 {
			return s, err
		}
		if s.JVMs > executors+1 || time.Now().After(deadline) {
			return s, fmt.Errorf("%d JVMs instead of the driver and %d executors told by which way their blocks came (%s, and executors' logs in %s)",
				s.JVMs, executors, driverLog, c.Dir)
		}
		select {
		case <-ctx.Done():
			return s, context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// summaries are those so far.
func (c Cluster) summaries(app, driverLog string) (s Summary, err error) {
	names, err := filepath.Glob(filepath.Join(c.Dir, "h*", "executors", app, "*", "stderr.log"))
	if err != nil {
		return s, err
	}
	for _, name := range append(names, driverLog) {
		log, e := os.ReadFile(name)
		err = errors.Join(err, e, s.add(log))
	}
	return s, err
}

// CPU are the seconds that all processes of all hosts took so far.
func (c Cluster) CPU(ctx context.Context) (float64, error) {
	out, err := c.Output(ctx, "cpu")
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
}

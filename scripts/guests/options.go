package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

type options struct {
	kernel string
	init   string
	memory string
	limit  time.Duration
	mtu    int
	first  bool
	env    list // KEY=VALUE
	shares list // folders
	jobs   []string
}

// list is a flag that may be given several times.
type list []string

func (l *list) String() string         { return strings.Join(*l, " ") }
func (l *list) Set(value string) error { *l = append(*l, value); return nil }

// parse reads the command line. The paths of the result are absolute and have no symbolic links.
func parse(args []string, output io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("guests", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.kernel, "kernel", "build/rig/linux", "the guests' kernel, made by 'make rig'")
	flags.StringVar(&o.init, "init", "scripts/rig.d/init", "the guests' first process")
	flags.StringVar(&o.memory, "mem", "1G", "memory of each guest, in M or G; the host gives what is used")
	flags.DurationVar(&o.limit, "limit", 5*time.Minute, "time for everything")
	flags.IntVar(&o.mtu, "mtu", 4300, "MTU of the network, from 1280 to 9000; 4300 gives RDMA's largest path MTU, 4096")
	flags.BoolVar(&o.first, "first", false, "stop guest 2 when the job of guest 1 has ended, whose exit status counts")
	flags.Var(&o.env, "env", "`KEY=VALUE` for the environment of the jobs; may be given again")
	flags.Var(&o.shares, "share", "host's `folder` that guests may write to, at the same path; may be given again")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(output, usage)
		flags.SetOutput(output)
		flags.PrintDefaults()
	}
	if err != nil {
		return o, err
	}
	o.jobs = flags.Args()
	return o, o.validate()
}

// validate lists everything that is wrong.
func (o *options) validate() error {
	var wrong []error
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }

	if err := program(&o.kernel); err != nil {
		complain("no kernel: %w; run 'make rig'", err)
	}
	if err := program(&o.init); err != nil {
		complain("no init: %w; run this in the root of the source tree, or give -init", err)
	}
	if _, err := memorySize(o.memory); err != nil {
		complain("-mem %w", err)
	}
	if o.limit <= 0 {
		complain("-limit %v: no time for anything", o.limit)
	}
	if o.mtu < 1280 || o.mtu > 9000 {
		complain("-mtu %d: not from 1280 to 9000", o.mtu)
	}
	for _, pair := range o.env {
		if !envPair.MatchString(pair) || strings.Contains(pair, "\x00") {
			complain("-env %q: not KEY=VALUE", pair)
		}
	}
	for i := range o.shares {
		if err := folder(&o.shares[i]); err != nil {
			complain("-share: %w", err)
		}
	}
	if len(o.jobs) < 1 || len(o.jobs) > 2 {
		complain("%d jobs: one or two are possible; -h explains", len(o.jobs))
	}
	if o.first && len(o.jobs) == 1 {
		complain("-first: there is one job only")
	}
	for i := range o.jobs {
		if err := program(&o.jobs[i]); err != nil {
			complain("job %d: %w", i+1, err)
		}
	}
	return errors.Join(wrong...)
}

var envPair = regexp.MustCompile(`(?s)^[A-Za-z_][A-Za-z0-9_]*=.*$`)

// program makes the path of an executable file absolute.
func program(path *string) error {
	info, err := resolve(path)
	if err == nil && (info.IsDir() || info.Mode()&0o111 == 0) {
		err = fmt.Errorf("%s is not executable", *path)
	}
	return err
}

// folder makes the path of a folder absolute. A guest's mount takes a comma for the end of the path.
func folder(path *string) error {
	info, err := resolve(path)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder", *path)
	case *path == "/" || strings.Contains(*path, ","):
		return fmt.Errorf("%s cannot be shared: take a folder below the root without a comma in its path", *path)
	}
	return nil
}

func resolve(path *string) (os.FileInfo, error) {
	info, err := os.Stat(*path)
	if err != nil {
		return nil, err
	}
	target, err := filepath.EvalSymlinks(*path)
	if err != nil {
		return nil, err
	}
	*path, err = filepath.Abs(target)
	return info, err
}

// memorySize is the number of bytes that a size like 512M stands for.
func memorySize(size string) (uint64, error) {
	digits := strings.TrimRight(size, "MG")
	n, err := strconv.ParseUint(digits, 10, 32)
	switch unit := size[len(digits):]; {
	case err == nil && n > 0 && unit == "M":
		return n << 20, nil
	case err == nil && n > 0 && unit == "G":
		return n << 30, nil
	}
	return 0, fmt.Errorf("%q: not a size like 512M or 1G", size)
}

package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"weft/internal/options"
)

// optionFlags are the flags of the option table; what was given is parsed by options.Load, together with the other sources.
type optionFlags struct {
	config string
	given  map[string]string
}

// add puts flags for all options on c or, where keys are named, only for those.
func (f *optionFlags) add(c *cobra.Command, keys ...string) {
	f.given = map[string]string{}
	c.Flags().StringVar(&f.config, "config", "", "YAML file with options (or "+options.ConfigEnv+")")
	_ = c.MarkFlagFilename("config", "yaml", "yml")
	for _, opt := range options.Table() {
		if len(keys) > 0 && !slices.Contains(keys, opt.Key) {
			continue
		}
		flag := c.Flags().VarPF(&optionFlag{opt, f.given}, opt.Flag(), "", strings.ReplaceAll(opt.Doc, "`", ""))
		if opt.Type == "boolean" {
			flag.NoOptDefVal = "true"
		}
	}
}

// sources is where the options come from, for options.Load.
func (f *optionFlags) sources() options.Sources {
	return options.Sources{File: f.config, Environ: os.Environ(), Flags: f.given}
}

// optionFlag is a pflag.Value that keeps the text.
type optionFlag struct {
	option options.Option
	given  map[string]string
}

func (f *optionFlag) Set(s string) error {
	f.given[f.option.Flag()] = s
	return nil
}

func (f *optionFlag) String() string {
	if s, ok := f.given[f.option.Flag()]; ok {
		return s
	}
	return f.option.Default
}

func (f *optionFlag) Type() string { return f.option.Type }

// exactly is cobra.ExactArgs, but its error tells how the command is used.
func exactly(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return fmt.Errorf("%d arguments instead of %d: %s; see %s --help", len(args), n, c.UseLine(), c.CommandPath())
		}
		return nil
	}
}

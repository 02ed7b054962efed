// Package options holds the daemon's options: one table of keys with type, default and meaning, and the struct they fill.
//
// Sources, each one over those before it: the defaults, a YAML file, environment variables, flags. A key that the table
// doesn't have, a value that doesn't parse and options that contradict each other are errors, and Load reports all of them at
// once, each naming its source. The package refuses to look at the machine: whether a directory or a port can be had is
// for the daemon and for `weft doctor` to find out.
package options

//go:generate go run weft/cmd/weft docs configuration --write ../../docs/configuration.md

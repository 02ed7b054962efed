package options

import (
	"fmt"
	"strings"
)

// Markdown is the daemon's part of docs/configuration.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString("An option is set in the YAML file that `--config` or `WEFT_CONFIG` names, over it by the environment variable, over both by " +
		"the flag:\n`weft.memory.max` is `WEFT_MEMORY_MAX` and `--memory-max`. Sizes are bytes or have a suffix k, m, g or t (powers of 1024), " +
		"durations are written\n`500ms`, `10s`, `2m`. A name that is not in the table, also a variable `WEFT_*`, is an error, and so are options " +
		"that contradict each other;\nthe daemon lists all of them and does not start. A default that is larger than an option set around it is lowered to it: " +
		"`weft.memory.max=64m` alone\nmeans sessions and regions of at most 64m, too. In the file, keys are written with dots or nested, with `weft` before " +
		"them, and a list is written as one:\n\n    weft.memory.max: 4g\n    weft:\n      net:\n        port: 7400-7420\n        cidr: [10.1.0.0/16, fd00::/8]\n\n")
	b.WriteString("| option | type | default | meaning |\n| --- | --- | --- | --- |\n")
	for _, o := range Table() {
		def := ""
		if o.Default != "" {
			def = "`" + o.Default + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", o.Key, o.Type, def, o.Doc)
	}
	return b.String()
}

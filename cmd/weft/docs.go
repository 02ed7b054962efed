package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"weft/internal/metrics"
	"weft/internal/options"
)

// pages are the generated parts of the documentation: the text, and the lines around it where it is not a whole page.
var pages = map[string]struct {
	text       func() string
	begin, end string
}{
	"metrics":       {text: metrics.Markdown},
	"configuration": {text: options.Markdown, begin: "<!-- begin daemon -->\n", end: "<!-- end daemon -->\n"},
}

func docsCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:       "docs {metrics|configuration}",
		Short:     "Print generated documentation, or write it into its page",
		Hidden:    true,
		Args:      cobra.MatchAll(exactly(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"metrics", "configuration"},
		RunE: func(c *cobra.Command, args []string) error {
			if file == "" {
				_, err := fmt.Fprint(c.OutOrStdout(), pages[args[0]].text())
				return err
			}
			old, err := os.ReadFile(file)
			if err != nil && !os.IsNotExist(err) {
				return err
			}
			page, err := splice(string(old), args[0])
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			return os.WriteFile(file, []byte(page), 0o644)
		},
	}
	c.Flags().StringVar(&file, "write", "", "page to write into")
	return c
}

// splice is the page old with its generated part as it should be.
func splice(old, name string) (string, error) {
	p := pages[name]
	if p.begin == "" {
		return p.text(), nil
	}
	head, rest, ok1 := strings.Cut(old, p.begin)
	_, tail, ok2 := strings.Cut(rest, p.end)
	if !ok1 || !ok2 {
		return "", fmt.Errorf("the lines %q and %q are missing", strings.TrimSpace(p.begin), strings.TrimSpace(p.end))
	}
	return head + p.begin + p.text() + p.end + tail, nil
}

package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// The generated pages are as the code would write them.
func TestPagesAreCurrent(t *testing.T) {
	for name, file := range map[string]string{"metrics": "../../docs/metrics.md", "configuration": "../../docs/configuration.md"} {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want, err := splice(string(content), name)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if want != string(content) {
			t.Errorf("%s is not what the code says: run go run ./cmd/weft docs %s --write %s", file, name, file[len("../../"):])
		}
	}
}

// The page of failures has each duration that can be set, with its default, and names no metric that there is not.
func TestFailuresPageIsCurrent(t *testing.T) {
	failures, configuration, metrics := page(t, "failures"), page(t, "configuration"), page(t, "metrics")
	durations := regexp.MustCompile("(?m)^\\| `([a-z.]+)` \\| duration \\| `([1-9][0-9]*)(ms|s|m)` ").FindAllStringSubmatch(configuration, -1)
	if len(durations) == 0 {
		t.Fatal("docs/configuration.md has no durations")
	}
	for _, d := range durations { // but those that are 0, which means never
		row := fmt.Sprintf("| `%s` | %s %s ", d[1], d[2], map[string]string{"ms": "ms", "s": "s", "m": "min"}[d[3]])
		if !strings.Contains(failures, row) {
			t.Errorf("docs/failures.md has no row %q among the time-outs", row)
		}
	}
	for _, name := range regexp.MustCompile(`weft_[a-z_]+`).FindAllString(failures, -1) {
		if !strings.Contains(metrics, "`"+name+"`") {
			t.Errorf("docs/failures.md names the metric %s, which there is not", name)
		}
	}
}

func page(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile("../../docs/" + name + ".md")
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

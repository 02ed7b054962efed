package main

import (
	"os"
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

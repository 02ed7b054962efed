package metrics_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"weft/internal/metrics"
)

// A name ends in its unit; counters end in _total; labels are words that the documentation explains.
func TestNames(t *testing.T) {
	name := regexp.MustCompile(`^weft_[a-z]+(_[a-z]+)*$`)
	unit := regexp.MustCompile(`_(seconds|bytes|blocks|errors|opened|refused|outputs|upcalls|dials|losses|proofs|refusals)(_total)?$`)
	explained := metrics.Markdown()
	for _, m := range metrics.NewSet().Metrics {
		if !name.MatchString(m.Name) || m.Help == "" {
			t.Errorf("%+v", m)
		}
		if strings.HasSuffix(m.Name, "_total") != (m.Kind == "counter") {
			t.Errorf("%s is a %s", m.Name, m.Kind)
		}
		if m.Kind != "gauge" && !unit.MatchString(m.Name) {
			t.Errorf("%s has no unit", m.Name)
		}
		for _, label := range m.Labels {
			if label != "version" && !strings.Contains(explained, "- `"+label+"`: ") {
				t.Errorf("%s: label %s is not explained", m.Name, label)
			}
		}
	}
}

// Two daemons in one process count apart, and label values go where the names say.
func TestSetsAreApart(t *testing.T) {
	a, b := metrics.NewSet(), metrics.NewSet()
	a.BytesTotal("tcp", metrics.Received).Add(42)
	b.BytesTotal("tcp", metrics.Served).Add(7)
	want := `# HELP weft_transfer_bytes_total Bytes of blocks moved, without headers.
# TYPE weft_transfer_bytes_total counter
weft_transfer_bytes_total{direction="received",transport="tcp"} 42
`
	if err := testutil.GatherAndCompare(a.Registry, strings.NewReader(want), "weft_transfer_bytes_total"); err != nil {
		t.Error(err)
	}
}

func TestLint(t *testing.T) {
	s := metrics.NewSet()
	s.FetchSeconds("tcp").Observe(0.1)
	s.ArenaBytes(metrics.Receive, metrics.Leased).Set(1)
	problems, err := testutil.GatherAndLint(s.Registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

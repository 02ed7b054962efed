package shuffle

import (
	"os"
	"strings"
	"testing"
)

// The log is Spark 3.5.9's of a terasort of 4 x 16: three tasks of each stage, and of each event what matters.
func terasortLog(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("testdata/events-terasort.json")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEventsOfTheMeasuredJobAlone(t *testing.T) {
	var r Record
	if err := r.readEvents(strings.NewReader(terasortLog(t))); err != nil {
		t.Fatal(err)
	}
	// The stage that samples for the range partitioner is neither; the warm-up's and the input's stages do not count.
	if r.Write != 1.750 || r.Read != 2.138 || r.FetchWait != 0.016 || r.RemoteBlocks != 6 || r.RemoteBytes != 932+1144+932 {
		t.Errorf("figures are %+v", r)
	}
}

func TestEventsThatGiveNoFigures(t *testing.T) {
	log := terasortLog(t)
	at := strings.LastIndex(log, `"Reason":"Success"`)
	for name, c := range map[string]struct{ log, want string }{
		"a task failed":      {log[:at] + `"Reason":"FetchFailed"` + log[at+len(`"Reason":"Success"`):], "FetchFailed"},
		"nothing measured":   {strings.ReplaceAll(log, `"measured"`, `"other"`), "no stage"},
		"torn":               {log[:len(log)-9], "event log"},
		"nothing in the log": {"", "no stage"},
	} {
		var r Record
		if err := r.readEvents(strings.NewReader(c.log)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v, want one with %q", name, err, c.want)
		}
	}
}

package shuffle

import "testing"

func TestCounters(t *testing.T) {
	var sum counters
	for _, status := range []string{
		`{"schema":1,"cpu_seconds":1.5,"transfers":[{"transport":"tcp","direction":"received","blocks":2,"bytes":100},{"transport":"tcp","direction":"served","blocks":1,"bytes":50}]}`,
		`{"schema":1,"cpu_seconds":2,"transfers":[{"transport":"rdma","direction":"received","blocks":1,"bytes":7},{"transport":"mem","direction":"received","blocks":1,"bytes":1000}]}`,
	} {
		if err := sum.add([]byte(status)); err != nil {
			t.Fatal(err)
		}
	}
	if sum.across() != 107 || sum.received["rdma"] != 7 || sum.cpu != 3.5 {
		t.Errorf("%+v, across the network %d", sum, sum.across())
	}
	if err := sum.add([]byte("{")); err == nil {
		t.Error("a torn status is no error")
	}
}

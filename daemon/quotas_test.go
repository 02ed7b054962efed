package daemon

import (
	"testing"

	"weft/internal/options"
	"weft/shuffle/quota"
)

// A large job that has the daemons to itself is refused nothing with the defaults.
func TestLargeJobFits(t *testing.T) {
	opts, err := options.Load(options.Sources{})
	if err != nil {
		t.Fatal(err)
	}
	q := &quotas{capacity: defaultCapacity, percent: opts.AppShare, count: func(string) quota.Counter { return nil }}
	q.ofBridge()
	q.ofPeers()
	q.ofRegistry(&opts)
	const (
		tasks    = 8 * 16
		blocks   = tasks * 48 << 20 / (2 << 10) // outstanding, of 2 KiB
		requests = tasks * 5
		nodes    = 100
	)
	wants := map[string]int64{
		"requests": blocks + 64*requests,
		"handles":  blocks,
		"locates":  nodes * 256 * (16<<10 + 100_000/(8*nodes)*(256+10)),
		"files":    openFiles()/2 - 2,
	}
	for _, n := range q.all {
		if want := wants[n.resource]; n.pool.Alone() < want {
			t.Errorf("%s: %d for an application alone, the job has %d", n.resource, n.pool.Alone(), want)
		}
		delete(wants, n.resource)
	}
	if len(wants) > 0 {
		t.Errorf("not divided: %v", wants)
	}
}

package shuffle

import "testing"

func TestReceivedIsWhatCrossedTheNetwork(t *testing.T) {
	sum := received{}
	for _, status := range []string{
		`{"schema":1,"transfers":[{"transport":"tcp","direction":"received","blocks":2,"bytes":100},{"transport":"tcp","direction":"served","blocks":1,"bytes":50}]}`,
		`{"schema":1,"transfers":[{"transport":"rdma","direction":"received","blocks":1,"bytes":7},{"transport":"mem","direction":"received","blocks":1,"bytes":1000}]}`,
	} {
		if err := sum.add([]byte(status)); err != nil {
			t.Fatal(err)
		}
	}
	if sum.across() != 107 || sum["rdma"] != 7 {
		t.Errorf("received %v, across the network %d", sum, sum.across())
	}
	if err := sum.add([]byte("{")); err == nil {
		t.Error("a torn status is no error")
	}
}

func TestNettyBytes(t *testing.T) {
	logs := []string{
		"INFO WeftRuntime: weft: summary executor=driver weft_blocks=1 weft_bytes=9 netty_blocks=0 netty_bytes=0 fallbacks={} leases=0 leaks=0\n",
		"something else\n",
		"a\nweft: summary executor=0 weft_blocks=1 weft_bytes=9 netty_blocks=2 netty_bytes=300 fallbacks={peer_gone=2} leases=0 leaks=0\nb\n",
	}
	if bytes, lines, err := nettyBytes(logs); bytes != 300 || lines != 2 || err != nil {
		t.Errorf("%d bytes in %d lines, %v", bytes, lines, err)
	}
}

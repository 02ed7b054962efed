package train

import (
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"weft/bench/result"
)

func mkfifo(name string) error { return syscall.Mkfifo(name, 0o600) }

func TestRowsInterleaveArms(t *testing.T) {
	table := Table{
		Models: []string{"lenet"}, Impls: []string{Stock, WeftTCP}, Links: []string{AsIs, "ipoib-like"}, Sparks: []string{"3.1.3"}, Executors: []int{2},
		Cores: []int{2}, Batches: []int{8}, Epochs: 1, Repeats: 2,
	}
	if err := table.Validate(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range table.rows(func(string) string { return "d" }) {
		got = append(got, r.link.Rate+" "+r.Impl)
	}
	want := []string{" stock", " weft-tcp", " weft-tcp", " stock", "620mbit stock", "620mbit weft-tcp", "620mbit weft-tcp", "620mbit stock"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestValidateListsAll(t *testing.T) {
	err := Table{
		Models: []string{"resnet"}, Impls: []string{"netty", WeftRDMA}, Links: []string{"fast", "1gbit,-1s"}, Sparks: []string{"4.1.3"}, Executors: []int{5, 2}, Cores: []int{1, 0},
		Batches: []int{7}, Iterations: -1,
	}.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"resnet", "netty", "no RDMA device", `"fast"`, "delay", "4.1.3", "not 5", "not 0", "batch of 7", "--epochs", "--iterations", "--repeats"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in\n%v", want, err)
		}
	}
	if err := (Table{}).Validate(); err == nil || strings.Count(err.Error(), "names nothing") != 7 {
		t.Errorf("an empty table: %v", err)
	}
}

// What is shaped is TCP, whatever it is like.
func TestLinksSayThatTheyAreTCP(t *testing.T) {
	for _, s := range []string{"ipoib-like", "rdma-like", "1gbit", "500mbit,200us"} {
		l, err := ParseLink(s, 2)
		if err != nil || !strings.Contains(l.Name, "TCP shaped to ") || l.Rate == "" {
			t.Errorf("%s: %+v, %v", s, l, err)
		}
	}
	l, err := ParseLink("500mbit,200us", 1)
	if err != nil || l.Rate != "500mbit" || l.Delay != 200*time.Microsecond || !reflect.DeepEqual(l.arguments(), []string{"--rate", "500mbit", "--delay", "200µs"}) {
		t.Errorf("%+v, %v", l, err)
	}
}

func TestReceivedBytes(t *testing.T) {
	samples := []result.Sample{
		{At: 1, Host: "h1", Name: result.NetRecv, Of: "eth0", Value: 100},
		{At: 1, Host: "h2", Name: result.NetRecv, Of: "eth0", Value: 10},
		{At: 1, Host: "h1", Name: result.NetSent, Of: "eth0", Value: 1e6},
		{At: 3, Host: "h1", Name: result.NetRecv, Of: "eth0", Value: 50},
		{At: 3, Host: "h2", Name: result.NetRecv, Of: "eth0", Value: 0},
	}
	if n := received(samples); n != 210 {
		t.Errorf("%d bytes instead of 100+10+2*50", n)
	}
}

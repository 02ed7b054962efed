package shuffle

import (
	"errors"
	"strings"
	"testing"

	"weft/bench/golden"
)

// runs are two rounds of two jobs; the machine was twice as slow in the second, and terasort failed with weft in it.
func runs() (rs []Record) {
	for round := 1; round <= 2; round++ {
		for _, name := range []string{"groupby", "terasort"} {
			j, _ := findJob(name)
			slow := float64(round)
			stock := Record{
				Job: name, Spark: "3.5.9", Impl: "stock", Link: "as is", Executors: 2, Size: j.size, Round: round, Write: slow, Read: 3 * slow,
				Total: 4 * slow, FetchWait: slow / 2, CPU: 8 * slow, RemoteBlocks: 32, RemoteBytes: 50e6, BytesNetty: 50e6, Checksum: "aa 1",
			}
			weft := stock
			weft.Impl, weft.Read, weft.Total, weft.CPU, weft.BytesWeft, weft.BytesNetty = "weft-tcp", 2*slow, 3*slow, 10*slow, 50e6, 0
			if name == "terasort" && round == 2 {
				weft = failed(weft, errors.New("it took longer than 10m0s"))
			}
			local := stock
			local.Impl, local.Executors, local.Read, local.Total, local.FetchWait, local.RemoteBlocks, local.RemoteBytes, local.BytesNetty = Local, 1, 1.5*slow, 2.5*slow, 0, 0, 0, 0
			rs = append(rs, stock, weft, local)
		}
	}
	return rs
}

func TestTable(t *testing.T) {
	var b strings.Builder
	if err := WriteTable(&b, runs()); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "table.txt", b.String())
}

func TestTableOfNothingButFailures(t *testing.T) {
	var b strings.Builder
	if err := WriteTable(&b, []Record{failed(runs()[1], errors.New("no daemon"))}); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "failed.txt", b.String())
}

func TestGoBenchFormat(t *testing.T) {
	var b strings.Builder
	if err := WriteGoBench(&b, runs()); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "bench.txt", b.String())
}

func TestRatioIsTakenWithinARound(t *testing.T) {
	rs := runs()
	if got, ok := ratio(rs, "groupby", "weft-tcp", read); !ok || got != (Ratio{1.5, 1.5, 1.5}) {
		t.Errorf("ratio is %v, %v", got, ok)
	}
	rs[0].Failure = "stock failed in the first round"
	rs[7].Read = 12
	if got, ok := ratio(rs, "groupby", "weft-tcp", read); !ok || got != (Ratio{0.5, 0.5, 0.5}) {
		t.Errorf("ratio without the first round is %v, %v", got, ok)
	}
	if _, ok := ratio(rs, "sortby", "weft-tcp", read); ok {
		t.Error("there is a ratio of what did not run")
	}
}

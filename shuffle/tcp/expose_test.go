package tcp

import (
	"slices"
	"testing"

	"weft/internal/metrics"
	"weft/shuffle"
	"weft/shuffle/quota"
	"weft/shuffle/serve"
	"weft/shuffle/transporttest"
)

// A block that is exposed and then cannot be held open is hidden again, and the answer says nothing of its parts.
func TestExposedButNotHeld(t *testing.T) {
	src, direct, app := transporttest.NewSource(t), transporttest.NewDirect(), shuffle.App{ID: "app"}
	ids, _ := src.Add(5000, 100)
	c := &server{Server: &Server{opts: Options{Direct: direct}}}
	table := serve.NewTable(metrics.NewSet(), Name, 0)
	table.Close()
	found := serve.Find(t.Context(), src, &shuffle.LocateRequest{Blocks: ids})
	parts := make([][]shuffle.Part, len(found))
	answer, _ := table.Answer(quota.Share{}, found, 0, nil, nil, func(i int) { parts[i] = c.expose(app, &found[i]) })
	if n := direct.Count(); n.Exposures != 2 || n.Exposed != 0 || src.Open() != 0 {
		t.Errorf("%+v, %d blocks are held open", n, src.Open())
	}
	var m located
	m.expose(answer, parts)
	if len(m.partCounts)+len(m.partAddrs)+len(m.partKeys)+len(m.partLengths) != 0 {
		t.Errorf("%+v", m)
	}
	answer[1].Handle = 7 // as if this one were held
	m.expose(answer, parts)
	if !slices.Equal(m.partCounts, []uint32{0, 2}) || !slices.Equal(m.partLengths, []uint64{50, 50}) {
		t.Errorf("%+v", m)
	}
}

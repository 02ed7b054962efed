package daemon

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"weft/shuffle"
)

// Whatever a record holds, what is taken from it names an application and directories for links alone, and reads the same when it is written again.
func FuzzRecord(f *testing.F) {
	kept := "/local/" + keptPrefix + strings.Repeat("0a", 16) + "/1-0"
	left := stored{shuffle.Left{
		App: shuffle.App{ID: "app-1", Token: [32]byte{1}}, Executor: "1", UID: 1000, Driver: "driver:7077", Dirs: []string{kept, "/other" + kept},
		Since: 1, Ended: 2,
	}, "a boot"}
	for _, dir := range []string{kept, "/local", "/", kept + "/..", strings.TrimPrefix(kept, "/"), kept + "/1_2.data", "/a/.." + kept, kept + "\n"} {
		left.Dirs[0] = dir
		content, err := json.Marshal(left)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
		f.Add(content[:len(content)/2])
	}
	f.Add([]byte(`{"App":{"ID":"a"},"Dirs":null}`))
	f.Add([]byte(`{"App":{"ID":"a","Token":[1],"Encrypted":true},"Executor":"1","UID":0,"Driver":"d:1","Dirs":["` + kept + `"],"app":{"encrypted":null}}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		left, err := parse(content)
		if err != nil {
			return
		}
		if left.App.ID == "" || left.App.Token == [32]byte{} || left.Executor == "" || left.Driver == "" || len(left.Dirs) == 0 {
			t.Errorf("%q was taken for a record", content)
		}
		for _, dir := range left.Dirs {
			if base := filepath.Base(filepath.Dir(dir)); filepath.Clean(dir) != dir || !filepath.IsAbs(dir) || !strings.HasPrefix(base, keptPrefix) {
				t.Errorf("%q is no directory for links", dir)
			}
		}
		again, err := json.Marshal(left)
		if err != nil {
			t.Fatal(err)
		}
		if twice, err := parse(again); err != nil || !reflect.DeepEqual(twice, left) {
			t.Errorf("%+v was read again as %+v, %v", left, twice, err)
		}
	})
}

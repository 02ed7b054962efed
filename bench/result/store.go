package result

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Save writes the run to dir/runs. A file is whole or not there.
func Save(dir string, r Run) error {
	dir = filepath.Join(dir, "runs")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	b, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return fmt.Errorf("run %s: %w", r.ID(), err)
	}
	name := filepath.Join(dir, r.ID()+".json")
	if err := os.WriteFile(name+".tmp", append(b, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(name+".tmp", name)
}

// Load reads a run that Save wrote, or reports that there is none.
func Load(dir string, c Config) (r Run, ok bool, err error) {
	r, err = read(filepath.Join(dir, "runs", c.ID()+".json"))
	if errors.Is(err, os.ErrNotExist) {
		return Run{}, false, nil
	}
	if err == nil && r.Config != c {
		return Run{}, false, fmt.Errorf("%s holds another row than its name says: %+v", filepath.Join(dir, "runs", c.ID()+".json"), r.Config)
	}
	return r, err == nil, err
}

// LoadAll reads all runs of dir, in the order of Compare.
func LoadAll(dir string) ([]Run, error) {
	names, err := filepath.Glob(filepath.Join(dir, "runs", "*.json"))
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s holds no runs: give a folder that `weft bench train` wrote", dir)
	}
	var rs []Run
	for _, name := range names {
		r, err := read(name)
		if err != nil {
			return nil, err
		}
		rs = append(rs, r)
	}
	slices.SortStableFunc(rs, Compare)
	return rs, nil
}

func read(name string) (Run, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return Run{}, err
	}
	var r Run
	if err := json.Unmarshal(b, &r); err != nil {
		return Run{}, fmt.Errorf("%s: %w (remove it to have the run repeated)", name, err)
	}
	return r, nil
}

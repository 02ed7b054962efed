package targets

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// read reads a result. by is the command that writes it.
func read[T any](dir, name, by string) (v T, err error) {
	name = filepath.Join(dir, name)
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return v, fmt.Errorf("there is no %s: run `%s`", name, by)
	}
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return v, fmt.Errorf("%s: %w; remove it and run `%s`", name, err, by)
	}
	return v, nil
}

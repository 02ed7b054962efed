package targets

import (
	"testing"

	"weft/internal/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

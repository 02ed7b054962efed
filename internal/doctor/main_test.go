//go:build !rdma

package doctor

import (
	"testing"

	"weft/internal/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

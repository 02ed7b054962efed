//go:build !rdma

package verbs_test

import (
	"testing"

	"weft/internal/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

//go:build rdma

package rdma

import (
	"testing"

	"weft/internal/leakcheck"
	"weft/verbs/verbstest"
)

func TestMain(m *testing.M) {
	verbstest.Warm()
	leakcheck.Main(m)
}

//go:build rdma

package verbs_test

import (
	"testing"

	"weft/internal/leakcheck"
	"weft/verbs/verbstest"
)

func TestMain(m *testing.M) {
	verbstest.Warm()
	leakcheck.Main(m)
}

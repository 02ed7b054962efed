//go:build rdma

package rdma

import (
	"testing"

	"weft/verbs/verbstest"
)

func TestMain(m *testing.M) { verbstest.Main(m) }

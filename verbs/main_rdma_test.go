//go:build rdma

package verbs_test

import (
	"testing"

	"weft/verbs/verbstest"
)

func TestMain(m *testing.M) { verbstest.Main(m) }

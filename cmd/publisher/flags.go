package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"daybook/internal/billing"
	"daybook/internal/cli"
	"daybook/internal/disk"
	"daybook/internal/lake"
	"daybook/internal/publish"
	"daybook/internal/state"
	"daybook/internal/statedir"
)

// lakeFlags is the flag of the lake.
type lakeFlags struct {
	Lake string `help:"Directory of the lake." required:"" placeholder:"DIR" env:"DAYBOOK_LAKE"`
}

func (f *lakeFlags) open(c *cli.Context) (*lake.Lake, error) {
	dir, err := filepath.Abs(f.Lake)
	if err != nil {
		return nil, fmt.Errorf("name the lake: %w", err)
	}
	return lake.Open(dir, disk.OS(), c.Now), nil
}

// stateFlags is the flag of the state.
type stateFlags struct {
	State string `help:"Directory of the state." required:"" placeholder:"DIR" env:"DAYBOOK_STATE"`
}

// source returns the state as a source of checkpoints.
func (f *stateFlags) source(c *cli.Context) (publish.Source, error) {
	dir, err := filepath.Abs(f.State)
	if err != nil {
		return nil, fmt.Errorf("name the state: %w", err)
	}
	return statedir.Dir{Path: dir, Options: state.Options{Logger: c.Log, Now: c.Now}}, nil
}

// tenantFlags select one tenant of a lake.
type tenantFlags struct {
	lakeFlags `embed:""`
	Tenant    billing.TenantID `help:"The tenant; needed where the lake has several." placeholder:"TENANT"`
}

// one returns the lake and the selected or only tenant.
func (f *tenantFlags) one(c *cli.Context) (*lake.Lake, billing.TenantID, error) {
	l, err := f.open(c)
	if err != nil {
		return nil, "", err
	}
	t, err := f.of(l)
	return l, t, err
}

// publisher returns a publisher that uses only the lake, and the tenant as one does.
func (f *tenantFlags) publisher(c *cli.Context) (*publish.Publisher, billing.TenantID, error) {
	l, t, err := f.one(c)
	if err != nil {
		return nil, "", err
	}
	return publish.New(publish.DefaultConfig(), publish.Deps{Lake: l, Now: c.Now, Log: c.Log}), t, nil
}

// of returns the selected tenant, or the only one of the lake.
func (f *tenantFlags) of(l *lake.Lake) (billing.TenantID, error) {
	tenants, err := l.Tenants()
	if err != nil {
		return "", fmt.Errorf("list tenants: %w", err)
	}
	if f.Tenant != "" {
		for _, t := range tenants {
			if t == f.Tenant {
				return t, nil
			}
		}
		return "", cli.Usagef("tenant %q has no release in this lake", f.Tenant)
	}
	switch len(tenants) {
	case 0:
		return "", errors.New("the lake has no release yet: `publisher run` makes one")
	case 1:
		return tenants[0], nil
	}
	return "", cli.Usagef("the lake has %d tenants: name one with --tenant", len(tenants))
}

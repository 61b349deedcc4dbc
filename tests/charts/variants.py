"""Values that each change one decision of a preview: what holds for one preview must hold for all of these."""

from __future__ import annotations

from charts.rendering import Values

SPOT: dict[str, Values] = {
    f"{preset}, {spot}": {"settings": {"scheduling": {"preset": preset, "spot": spot}}}
    for preset in ("none", "eks", "karpenter", "gke", "aks")
    for spot in ("preferred", "required", "never")
}
SEED = "registry.example.com/seed:1"
VARIANTS: dict[str, Values] = {
    "as it is": {},
    "asleep": {"preview": {"asleep": True}},
    "asleep with databases": {"preview": {"asleep": True, "sleepDatabases": True}},
    "a gateway": {"settings": {"ingress": {"kind": "gateway", "gateway": {"name": "public", "namespace": "gateways"}}}},
    "nothing set by the platform": {
        "settings": {
            "ingress": {"className": "", "annotations": {}, "tls": False, "from": []},
            "network": {"dns": [], "denied": [], "allowed": []},
            "scheduling": {"spot": "preferred", "preset": "none", "nodeSelector": None, "tolerations": []},
            "imagePullSecrets": [],
            "externalSecrets": {"store": ""},
            "reader": {"serviceAccount": ""},
        }
    },
    "a database that brings its data": {
        "services": {
            "shop": {"needs": {n: {"image": "registry.example.com/seed:1"} for n in ("postgresql", "reports")}}
        }
    },
    "a seed in a layer": {
        "services": {"shop": {"needs": {"postgresql": {"image": SEED, "seed": {"mode": "layer", "room": "900Mi"}}}}}
    },
    "a seed that was reset": {
        "services": {"shop": {"needs": {"postgresql": {"image": SEED, "seed": {"mode": "layer"}, "resets": 2}}}}
    },
    "seeds on volumes": {
        "services": {
            "shop": {
                "needs": {
                    "postgresql": {"image": SEED, "seed": {"mode": "copy"}},
                    "reports": {"image": SEED, "seed": {"mode": "copy"}, "resets": 2},
                }
            }
        }
    },
    "seeds of MariaDB": {
        "services": {
            "shop": {
                "needs": {
                    "postgresql": {"kind": "mariadb", "version": "10.11", "image": SEED, "seed": {"mode": "layer"}},
                    "reports": {"kind": "mariadb", "version": "10.11", "image": SEED, "seed": {"mode": "copy"}},
                }
            }
        }
    },
    "a seed that the stock image restores": {
        "services": {
            "shop": {"needs": {n: {"image": SEED, "seed": {"mode": "restore"}} for n in ("postgresql", "reports")}}
        }
    },
    "limit below the default request": {"services": {"shop": {"resources": {"memory": "", "memoryLimit": "64M"}}}},
    "limit below its own request": {"services": {"shop": {"resources": {"memory": "2Gi", "memoryLimit": "1.5G"}}}},
    "no probe": {"services": {"shop": {"processes": {"web": {"probe": ""}}}}},
    "no command, no port": {"services": {"shop": {"processes": {"web": {"port": None}, "admin": {"command": []}}}}},
    "another process has the address": {"services": {"shop": {"web": "admin"}}},
    "only what must be": {
        "services": None,
        "links": None,
        "settings": {"quota": {"pods": 1000000}},
    },
    **SPOT,
}
MINIMAL: Values = {
    "preview": {"repository": "shop", "repositoryId": "7", "slug": "acme/shop", "number": 1, "installation": "test"},
    "services": {
        "web": {"image": "registry.example.com/web:1", "processes": {"web": {"kind": "web", "port": 80}}},
        "worker": {"image": "registry.example.com/worker:1", "processes": {"main": {"kind": "worker"}}},
    },
}

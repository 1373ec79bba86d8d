"""Running containers: nginx, replicas, processes."""

"""Self-supervised depth and camera motion from 360-degree video, on cube faces."""

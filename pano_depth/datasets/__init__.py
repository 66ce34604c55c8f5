"""Sources of 360-degree clips: rendered rooms, clip folders and video."""

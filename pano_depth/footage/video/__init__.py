"""Reading and writing video, frame by frame.

Video goes through the ffmpeg of imageio-ffmpeg as a stream, so that a clip larger than memory can
be read.
"""

from pano_depth.footage.video.probe import VideoInfo, VideoStream, video_info
from pano_depth.footage.video.reader import CutShort, VideoFrame, iter_frames, iter_video, look
from pano_depth.footage.video.writer import write_video

__all__ = [
    'CutShort',
    'VideoFrame',
    'VideoInfo',
    'VideoStream',
    'iter_frames',
    'iter_video',
    'look',
    'video_info',
    'write_video',
]

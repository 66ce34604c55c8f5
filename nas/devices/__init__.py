"""Devices that networks are timed on: local accelerators, ONNX Runtime, a user's board, published
rows.
"""

"""ONNX files of students, where scripts look for them; each network writes its own graph."""

from distill_core.students.networks.onnx_graph import OPSET, PROJECTIONS, QUERIES, onnx_model

__all__ = ["OPSET", "PROJECTIONS", "QUERIES", "onnx_model"]

from django.apps import AppConfig


class SimulationConfig(AppConfig):
    name = "labeling.simulation"
    label = "simulation"

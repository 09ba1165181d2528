"""Write the dashboards where Grafana reads them."""

from tools.dashboards.boards import FOLDER, rendered

for name, text in rendered().items():
    (FOLDER / name).write_text(text)
    print(FOLDER / name)

(function () {
  var data = JSON.parse(document.getElementById("plane-data").textContent);
  var canvas = document.getElementById("plane"), pick = document.getElementById("plane-colour");
  var legend = document.getElementById("legend"), tip = document.getElementById("plane-tip");
  var colours = ["#3b7dd8", "#e0803a", "#2f9e6e", "#b65fc9", "#c9463d", "#8a7a2f", "#4aa5b5", "#85614f",
    "#e377a2", "#7a8b99", "#5b4fc9", "#9bbf3b"];
  var size = 480, pad = 16, scale = window.devicePixelRatio || 1;
  canvas.width = canvas.height = size * scale;
  canvas.style.width = size + "px";
  canvas.style.aspectRatio = "1";
  var paper = canvas.getContext("2d");
  paper.scale(scale, scale);
  function place(point) {
    return [pad + point[0] * (size - 2 * pad), pad + (1 - point[1]) * (size - 2 * pad)];
  }
  function colourOf(column, i) {
    var value = column.values[i];
    if (value === null) { return "#8888"; }
    if (column.levels) { return colours[value % colours.length]; }
    return "hsl(" + (230 - 200 * value) + " 65% 52%)";
  }
  function draw() {
    var column = data.columns[pick.value];
    paper.clearRect(0, 0, size, size);
    data.points.forEach(function (point, i) {
      var at = place(point);
      paper.fillStyle = colourOf(column, i);
      paper.globalAlpha = 0.78;
      paper.beginPath();
      paper.arc(at[0], at[1], 3, 0, 6.2832);
      paper.fill();
    });
    legend.replaceChildren();
    (column.levels || column.ends || []).forEach(function (name, i) {
      var item = document.createElement("li"), dot = document.createElement("i");
      dot.style.background = column.levels ? colours[i % colours.length] : "hsl(" + (230 - 200 * i) + " 65% 52%)";
      item.append(dot, name);
      legend.append(item);
    });
  }
  canvas.addEventListener("mousemove", function (event) {
    var box = canvas.getBoundingClientRect(), ratio = size / box.width, best = 81, found = -1;
    var x = (event.clientX - box.left) * ratio, y = (event.clientY - box.top) * ratio;
    data.points.forEach(function (point, i) {
      var at = place(point), far = (at[0] - x) * (at[0] - x) + (at[1] - y) * (at[1] - y);
      if (far < best) { best = far; found = i; }
    });
    var column = data.columns[pick.value], value = found < 0 ? null : column.values[found];
    tip.textContent = found < 0 ? "\u00a0" : "row " + data.rows[found] +
      (value === null ? "" : ": " + (column.levels ? column.levels[value] : column.shown[found]));
  });
  pick.addEventListener("change", draw);
  draw();
})();

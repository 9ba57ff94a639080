// Made by `python manage.py translations`; change the .po file instead.
globalThis.words = {
"Continue with the next task": "继续下一个任务",
"Copied": "已复制",
"Right after submitting: take it back": "刚提交后：撤回",
"Show this list": "显示此列表",
"Theme: dark": "主题：深色",
"Theme: light": "主题：浅色",
"Theme: same as the system": "主题：跟随系统"
};
